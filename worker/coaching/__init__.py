"""What a participant could do better right now: rules as data, and the restraint that keeps them bearable."""
