"""What `tui-chat doctor` looks at: a module for each thing it knows about, each returning plain checks.

Nothing here mends, creates or changes anything; nothing here prints.
"""
