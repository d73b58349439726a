/** `server.auth`, checked. */
export interface AuthConfig {
  /** In the order in which they are asked; Corral's own keys are always asked first. */
  readonly authenticators: readonly AuthenticatorConfig[]
}

/** One `provider_config`; each authenticator's file has its own shape. */
export interface AuthenticatorConfig {
  readonly type: string
}
