"""Where a meta-dataset is kept: layout, durable writes, catalog, reader."""
