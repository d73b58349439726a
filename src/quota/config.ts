/** `server.quota` and the limits, checked. */
export interface QuotaConfig {
  readonly limits: readonly unknown[]
}
