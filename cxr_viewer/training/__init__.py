"""Making a model again from labelled films: data, augmentation, fitting, measuring, bundling."""
