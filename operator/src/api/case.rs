//! From the API's camelCase to the daemons' snake case.

/// `maxBytesPerFile` as `max_bytes_per_file`.
pub(crate) fn snake_case(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 8);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_by_underscores() {
        assert_eq!(
            snake_case("e2eProcessingLatencyPercentiles"),
            "e2e_processing_latency_percentiles"
        );
        assert_eq!(snake_case("ttl"), "ttl");
    }
}
