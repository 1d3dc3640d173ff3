"""What a configuration says about itself, on paper, for the people heard and for who answers for data protection."""
