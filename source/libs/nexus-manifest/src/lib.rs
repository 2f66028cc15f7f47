//! Boot manifest.
