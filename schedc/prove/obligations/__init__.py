"""What is to be proved of a policy, one file a property."""
