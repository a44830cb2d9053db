"""What a site costs: requests and load of its buses, hours and life of its flash, how exact its pulse inputs are."""
