"""What a conversation was, as pages and tables: folds events into one record, and writes it down."""
