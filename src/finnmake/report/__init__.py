"""Reports for readers: pages made from the JSON files of a finished build."""
