"""What the model files of users take, and what they are fed with."""
