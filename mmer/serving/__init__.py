"""What `service.py` is made of: limits, uploads, live sessions, the API's description, what is counted. No torch."""
