//! An invitation for a camera, as a path that a template draws.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// A QR code in modules, with its quiet zone.
pub(crate) struct Qr {
    /// Width and height.
    pub(crate) size: usize,
    /// The dark modules, as the `d` of an SVG path.
    pub(crate) path: String,
}

/// What readers need around a code.
const QUIET: usize = 4;

/// `None` if the text is too long for any code.
pub(crate) fn qr(text: &str) -> Option<Qr> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let (x, y) = (at % width + QUIET, at / width + QUIET);
            // Writing to a String cannot fail.
            write!(path, "M{x} {y}h1v1h-1z").unwrap_or_default();
        }
    }
    Some(Qr { size: width + 2 * QUIET, path })
}
