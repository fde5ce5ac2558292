//! Figures as PNG.

use plotters::prelude::*;

use crate::plot::canvas::{Canvas, DrawError, Surface};
use crate::plot::chart;
use crate::plot::figure::Figure;

/// The picture is drawn this many times larger and then averaged, which smooths every edge.
const OVERSAMPLING: u32 = 4;

const CHANNELS: usize = 3;

/// The figure as the bytes of a PNG file.
pub(super) fn render(figure: &Figure) -> Result<Vec<u8>, DrawError> {
    let (width, height) = chart::size(figure);
    let large = (width * OVERSAMPLING, height * OVERSAMPLING);
    let mut pixels = vec![0; large.0 as usize * large.1 as usize * CHANNELS];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, large).into_drawing_area();
        chart::draw(&Canvas::new(&area, OVERSAMPLING, Surface::Pixels)?, figure)?;
        area.present().map_err(|error| DrawError(error.to_string()))?;
    }
    encode(&averaged(&pixels, large.0 as usize), width, height).map_err(|error| DrawError(error.to_string()))
}

/// The mean colour of every square of `OVERSAMPLING` by `OVERSAMPLING` pixels.
fn averaged(pixels: &[u8], width: usize) -> Vec<u8> {
    let factor = OVERSAMPLING as usize;
    let row = width * CHANNELS;
    let mut small = Vec::with_capacity(pixels.len() / (factor * factor));
    for band in pixels.chunks_exact(row * factor) {
        let mut sums = vec![0_u32; row / factor];
        for line in band.chunks_exact(row) {
            for (square, sums) in line.chunks_exact(CHANNELS * factor).zip(sums.chunks_exact_mut(CHANNELS)) {
                for pixel in square.chunks_exact(CHANNELS) {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += u32::from(*value);
                    }
                }
            }
        }
        small.extend(sums.iter().map(|sum| (sum / (OVERSAMPLING * OVERSAMPLING)) as u8));
    }
    small
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, ::png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, width, height);
    encoder.set_color(::png::ColorType::Rgb);
    encoder.set_depth(::png::BitDepth::Eight);
    encoder.set_compression(::png::Compression::High);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averaging_takes_the_mean_of_every_square() {
        let side = OVERSAMPLING as usize;
        let mut pixels = vec![0_u8; side * 2 * side * CHANNELS];
        for line in pixels.chunks_exact_mut(side * 2 * CHANNELS) {
            line[..side * CHANNELS].fill(255);
            line[side * CHANNELS] = 160;
        }
        // One pixel in four of the second square has 160 in its first channel.
        assert_eq!(averaged(&pixels, side * 2), [255, 255, 255, 40, 0, 0]);
    }
}
