//! The templates that a path may match.

/// Whether the path is one of the template: `{id}` in it is any segment, and `{*rest}` all that follow.
pub(super) fn matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    for expected in template.split('/') {
        if expected.starts_with("{*") && expected.ends_with('}') {
            return segments.next().is_some();
        }
        let is_any = expected.starts_with('{') && expected.ends_with('}');
        match segments.next() {
            Some(segment) if segment == expected || is_any && !segment.is_empty() => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_one_segment() {
        for (template, path, expected) in [
            ("/parcels/{id}", "/parcels/7", true),
            ("/parcels/{id}", "/parcels/", false),
            ("/parcels/{id}", "/parcels/7/label", false),
            ("/parcels/{id}/label", "/parcels/7/label", true),
            ("/parcels", "/parcels", true),
            ("/parcels", "/parcel", false),
            ("/files/{*path}", "/files/a/b", true),
            ("/files/{*path}", "/files", false),
        ] {
            assert_eq!(matches(template, path), expected, "{template} {path}");
        }
    }
}
