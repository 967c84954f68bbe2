//! The settings of authentication. The configured key determines the algorithm that a token must use, never
//! the token itself.

use std::path::PathBuf;
use std::time::Duration;

use settings::{Env, ExposeSecret, SecretString, SettingError};

/// The output size of HS256's hash (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;
const WITH_PREVIOUS: &str = "the secret of new tokens, where JWT_SECRET_PREVIOUS is set";
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const EXACTLY_ONE: &str = "a value: AUTH=jwt needs exactly one of JWT_SECRET (HS256), JWT_PUBLIC_KEY_FILE and JWT_JWKS_URL (RS256, ES256, EdDSA)";

#[derive(Debug, Clone)]
pub(crate) enum AuthConfig {
    /// Every request is from one anonymous customer, who may do everything.
    Off,
    Jwt(JwtConfig),
}

/// The keys, issuer and audience that a token must match.
#[derive(Debug, Clone)]
pub(crate) struct JwtConfig {
    pub(super) keys: KeySource,
    /// Required outside development: keys may be shared with services whose tokens are not for this one.
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    /// A token that is valid for longer is rejected.
    pub(super) max_lifetime: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum KeySource {
    /// The secret of new tokens, and the one before, if it is still accepted.
    Secrets(Vec<SecretString>),
    PublicKeyFile(PathBuf),
    /// It may have a password or a key in its query.
    JwksUrl(SecretString),
}

impl AuthConfig {
    /// Any ENVIRONMENT but `development`, misspelt ones included, requires AUTH=jwt, so that no service is
    /// open by accident.
    pub(crate) fn from_env(env: &Env) -> Result<Self, SettingError> {
        let development = env.is_development();
        let takes = "jwt, unless ENVIRONMENT is development";
        match env.get("AUTH") {
            Some("jwt") => JwtConfig::from_env(env, development).map(Self::Jwt),
            // A value beside a file is an error also where neither is used.
            None | Some("off") if development => env.secret("JWT_SECRET").map(|_| Self::Off),
            None => Err(SettingError::missing("AUTH", takes)),
            Some("off") => Err(SettingError::bad("AUTH", "off", takes)),
            Some(other) => Err(SettingError::bad("AUTH", other, "off or jwt")),
        }
    }
}

impl JwtConfig {
    fn from_env(env: &Env, development: bool) -> Result<Self, SettingError> {
        let previous = hs256_secret(env, "JWT_SECRET_PREVIOUS")?;
        let given = (
            hs256_secret(env, "JWT_SECRET")?,
            env.get("JWT_PUBLIC_KEY_FILE"),
            env.get("JWT_JWKS_URL"),
        );
        let keys = match given {
            (Some(secret), None, None) => KeySource::Secrets([secret].into_iter().chain(previous).collect()),
            _ if previous.is_some() => return Err(SettingError::missing("JWT_SECRET", WITH_PREVIOUS)),
            (None, Some(path), None) => KeySource::PublicKeyFile(path.into()),
            (None, None, Some(url))
                if url.starts_with("https://") || (development && url.starts_with("http://")) =>
            {
                KeySource::JwksUrl(url.into())
            }
            (None, None, Some(url)) => {
                let takes = "an https URL; http alone in development";
                return Err(SettingError::bad_url("JWT_JWKS_URL", url, takes));
            }
            _ => return Err(SettingError::missing("JWT_SECRET", EXACTLY_ONE)),
        };
        let claim = |name, takes| match env.get(name) {
            None if !development => Err(SettingError::missing(name, takes)),
            value => Ok(value.map(str::to_owned)),
        };
        Ok(Self {
            keys,
            issuer: claim("JWT_ISSUER", "the issuer that tokens must name in `iss`")?,
            audience: claim("JWT_AUDIENCE", "the audience that tokens must name in `aud`")?,
            max_lifetime: env.duration_or("JWT_MAX_LIFETIME", MAX_LIFETIME)?,
        })
    }
}

fn hs256_secret(env: &Env, name: &'static str) -> Result<Option<SecretString>, SettingError> {
    match env.secret(name)? {
        Some(secret) if secret.expose_secret().len() < MIN_SECRET_BYTES => {
            let takes = format!("at least {MIN_SECRET_BYTES} bytes");
            Err(SettingError::bad_secret(name, takes))
        }
        secret => Ok(secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn refused<const N: usize>(pairs: [(&str, &str); N]) -> String {
        AuthConfig::from_env(&Env::of(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn only_development_starts_without_authentication() {
        for environment in ["production", "Production", "prod", "staging", "test"] {
            assert_eq!(
                refused([("ENVIRONMENT", environment)]),
                "AUTH: is required; takes jwt, unless ENVIRONMENT is development"
            );
            assert_eq!(
                refused([("ENVIRONMENT", environment), ("AUTH", "off")]),
                "AUTH: got `off`; takes jwt, unless ENVIRONMENT is development"
            );
            let env = [
                ("ENVIRONMENT", environment),
                ("AUTH", "jwt"),
                ("JWT_SECRET", SECRET),
                ("JWT_ISSUER", "https://id.example/"),
                ("JWT_AUDIENCE", "orders"),
            ];
            let config = AuthConfig::from_env(&Env::of(env));
            assert!(matches!(config, Ok(AuthConfig::Jwt(_))));
        }
        let open = AuthConfig::from_env(&Env::of([("ENVIRONMENT", "development")]));
        assert!(matches!(open, Ok(AuthConfig::Off)));
    }

    #[test]
    fn outside_development_tokens_name_an_issuer_and_an_audience() {
        let with = |environment, issuer| {
            AuthConfig::from_env(&Env::of([
                ("ENVIRONMENT", environment),
                ("AUTH", "jwt"),
                ("JWT_SECRET", SECRET),
                ("JWT_ISSUER", issuer),
            ]))
        };
        assert!(with("", "").is_ok());
        assert_eq!(
            with("production", "").unwrap_err().to_string(),
            "JWT_ISSUER: is required; takes the issuer that tokens must name in `iss`"
        );
        assert_eq!(
            with("production", "https://id.example/").unwrap_err().to_string(),
            "JWT_AUDIENCE: is required; takes the audience that tokens must name in `aud`"
        );
    }

    #[test]
    fn keys_come_over_https_unless_in_development() {
        let url = ("JWT_JWKS_URL", "http://id.example/keys");
        assert!(AuthConfig::from_env(&Env::of([("AUTH", "jwt"), url])).is_ok());
        let refused = refused([("AUTH", "jwt"), url, ("ENVIRONMENT", "production")]);
        assert_eq!(
            refused,
            "JWT_JWKS_URL: got `http://***`; takes an https URL; http alone in development"
        );
    }

    #[test]
    fn exactly_one_key_is_taken_and_no_secret_is_shown() {
        assert!(refused([("AUTH", "jwt")]).contains("exactly one of"));
        let two = [
            ("AUTH", "jwt"),
            ("JWT_SECRET", SECRET),
            ("JWT_JWKS_URL", "https://a/b"),
        ];
        assert!(refused(two).contains("exactly one of"));
        let short = refused([("AUTH", "jwt"), ("JWT_SECRET", "s3cret")]);
        assert_eq!(short, "JWT_SECRET: got `***`; takes at least 32 bytes");
        let both = refused([("JWT_SECRET", SECRET), ("JWT_SECRET_FILE", "/run/secrets/jwt")]);
        assert_eq!(
            both,
            "JWT_SECRET: got `***`; takes no value where JWT_SECRET_FILE is set"
        );
        let previous = ("JWT_SECRET_PREVIOUS", SECRET);
        assert_eq!(
            refused([("AUTH", "jwt"), previous]),
            "JWT_SECRET: is required; takes the secret of new tokens, where JWT_SECRET_PREVIOUS is set"
        );
        let both = [("AUTH", "jwt"), ("JWT_SECRET", SECRET), previous];
        let config = AuthConfig::from_env(&Env::of(both));
        assert!(config.is_ok() && !format!("{config:?}").contains(SECRET));
    }
}
