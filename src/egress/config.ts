import type { ProxyRules } from './proxies.ts'

/** What URLs that callers bring may reach beside the public internet. */
export interface EgressConfig {
  /** Host names, `*.suffix` patterns, addresses and CIDRs that are let through although they are private; hosts and addresses with `:port` for that port alone. */
  readonly allow: readonly string[]
  /** The same for what is refused although it is public or in `allow`; `*` for every URL that callers bring. */
  readonly deny?: readonly string[] | undefined
  /** The proxies that the environment names, for requests of providers without proxies of their own; callers' URLs go through them only to hosts in `allow`. */
  readonly proxies?: ProxyRules | undefined
}
