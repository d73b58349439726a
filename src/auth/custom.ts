import type { Credential } from './authenticator.ts'
import { withSingleSlashes } from '../access/path-pattern.ts'
import { toAttributes, topLevelClaim } from './claims.ts'
import type { CustomConfig } from './config.ts'
import { hostOf, jsonObjectOf, type IdentityService } from './identity-service.ts'
import { toPrincipal } from './principal.ts'
import { CredentialRefused } from './refusal.ts'
import { withTenant } from './tenant.ts'
import type { Identity, CredentialLookup } from './caching-authenticator.ts'

/** Headers that do not identify the caller, and so may be sent to a third party's endpoint. */
const forwardableHeaders: readonly string[] = [
  'accept',
  'accept-encoding',
  'accept-language',
  'content-length',
  'content-type',
  'host',
  'origin',
  'traceparent',
  'user-agent',
  'x-request-id',
]

/** Query values that are credentials by their name stay here. */
const secretParam = /key|token|secret|passw|auth|signature|credential|session/i

/** Asks an endpoint of the operator's: `custom`. */
export class CustomLookup implements CredentialLookup {
  readonly type = 'custom'
  readonly missingCredentialMessage: string
  readonly scope: readonly unknown[]
  readonly #config: CustomConfig
  readonly #service: IdentityService
  readonly #headers: readonly string[]

  /** `withheld`: headers, in lower case, by which others say who is asking; never passed on. */
  constructor(config: CustomConfig, service: IdentityService, withheld: readonly string[] = []) {
    const { endpoint, forwardHeaders } = config
    this.missingCredentialMessage = `Authentication required. Please provide your API key as a Bearer token (validated by ${hostOf(endpoint)})`
    this.scope = [endpoint]
    this.#config = config
    this.#service = service
    this.#headers = [...new Set([...forwardableHeaders, ...forwardHeaders])].filter((name) => !withheld.includes(name))
  }

  /** The endpoint receives the path, and its response may depend on it. */
  varyBy(request: Request): string {
    return pathOf(request.url)
  }

  async find({ token }: Credential, request: Request): Promise<Identity> {
    const { endpoint, principalPrefix, tenantField } = this.#config
    const response = await this.#service.send(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ api_key: token, request: this.#describe(request) }),
    })
    const { status } = response
    if (status !== 200) {
      throw new CredentialRefused(`Authentication failed: ${status}`, {
        reason: `the endpoint responded with status ${status}`,
        final: false,
      })
    }
    const found = jsonObjectOf(response)
    const { principal: id, attributes } = found ?? {}
    const lists = readAttributes(attributes)
    const withTenants = lists && withTenant(toAttributes(lists), tenantField, topLevelClaim(found, tenantField))
    const principal = withTenants && toPrincipal(id, { type: this.type, prefix: principalPrefix, attributes: withTenants })
    if (!principal)
      throw new CredentialRefused('Invalid authentication response format', {
        reason: 'the endpoint returned an invalid response',
        until: 0,
      })
    this.#service.reportSuccess(endpoint)
    return { principal }
  }

  #describe(request: Request): { path: string; headers: Record<string, string>; params: Record<string, string[]> } {
    const headers: Record<string, string> = {}
    for (const name of this.#headers) {
      const value = request.headers.get(name)
      if (value !== null) headers[name] = value
    }
    const params = new Map<string, string[]>()
    for (const [name, value] of URL.parse(request.url)?.searchParams ?? []) {
      if (!secretParam.test(name)) params.set(name, [...(params.get(name) ?? []), value])
    }
    return { path: pathOf(request.url), headers, params: Object.fromEntries(params) }
  }
}

/** The path without host and query, with single slashes, so that no spelling of a route passes an endpoint that decides by it. */
function pathOf(url: string): string {
  return withSingleSlashes(URL.parse(url)?.pathname ?? '')
}

/** Undefined where they are not lists of texts by name. */
function readAttributes(attributes: unknown): [string, string[]][] | undefined {
  if (attributes === undefined || attributes === null) return []
  if (typeof attributes !== 'object' || Array.isArray(attributes)) return undefined
  const entries = Object.entries(attributes)
  return entries.every(([, value]) => areStrings(value)) ? (entries as [string, string[]][]) : undefined
}

function areStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
