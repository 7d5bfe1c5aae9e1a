"""Reading reports: views, differences, history and checks. Pure: it is given snapshots and events."""
