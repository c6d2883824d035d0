"""The domain: conversations, answers, tokens and money. Standard library only; no clock, network, disk or screen."""
