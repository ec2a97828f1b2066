"""Everything by which samples enter the server: discovery finds targets, scrape fetches them, receive takes pushes."""
