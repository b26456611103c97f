"""What others send, made up by the million: nothing of it may end the daemon, hold it up or fill its memory."""
