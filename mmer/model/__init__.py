"""The network: its branches, where they meet, what gathers evidence over time, what it costs."""
