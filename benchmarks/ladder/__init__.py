"""What cheap scores of supernets are worth, on problems whose networks have been trained."""
