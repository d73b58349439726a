/** What URLs that callers bring may reach beside the public internet. */
export interface EgressConfig {
  /** Host names, `*.suffix` patterns and CIDRs that are let through although they are private. */
  readonly allow: readonly string[]
}
