"""The figures of reports, of a timeline and of an explanation: one style, one palette."""
