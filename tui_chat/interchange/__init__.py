"""Files in and out: what an answer looks like as JSON, exports, imports."""
