"""Training the supernet by progressive shrinking, and evaluating what lives in it."""
