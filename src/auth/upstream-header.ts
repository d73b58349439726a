import type { Principal } from '../call.ts'
import { shortened } from '../errors.ts'
import type { AuthenticationRequest, Authenticator } from './authenticator.ts'
import { noAttributes, toAttributes } from './claims.ts'
import type { UpstreamHeaderConfig } from './config.ts'
import { toPrincipal } from './principal.ts'
import { CredentialRefused } from './refusal.ts'
import { withTenant } from './tenant.ts'
import { trustedPeers } from './trusted-peers.ts'

/**
 * Believes a proxy in front that has already authenticated the caller and says who it is in a header: `upstream_header`. Only what comes
 * over a connection from a trusted proxy is trusted; other peers could send anything. Nothing is cached: no service is called.
 */
export class UpstreamHeader implements Authenticator {
  readonly type = 'upstream_header'
  readonly missingCredentialMessage: string
  readonly #config: UpstreamHeaderConfig
  readonly #isTrusted: (address: string | undefined) => boolean

  constructor(config: UpstreamHeaderConfig) {
    this.missingCredentialMessage = `Missing required authentication header: ${config.principalHeader}`
    this.#config = config
    this.#isTrusted = trustedPeers(config.trustedProxies)
  }

  authenticate({ request, peerAddress }: AuthenticationRequest): Principal | undefined {
    const { principalHeader, attributesHeader, attributeHeaders, tenantHeader, principalPrefix } = this.#config
    const id = request.headers.get(principalHeader)
    if (id === null || id === '') return undefined
    if (!this.#isTrusted(peerAddress)) throw this.#untrusted()
    // HTTP joins repeated headers by a comma, so a caller's name and the proxy's cannot be distinguished from one name with a comma.
    if (id.includes(',')) {
      throw refused('Invalid authentication header', `the header ${shortened(principalHeader)} names several, or came more than once`)
    }
    const sent = attributesHeader === undefined ? null : request.headers.get(attributesHeader)
    const own = sent === null || sent === '' ? noAttributes : readAttributes(sent)
    const all = withHeaders(own, attributeHeaders, request.headers)
    const attributes = tenantHeader === undefined ? all : withTenant(all, tenantHeader, request.headers.get(tenantHeader))
    const principal = toPrincipal(id, { type: this.type, prefix: principalPrefix, attributes })
    if (!principal) throw refused('Invalid authentication header', `a malformed ${shortened(principalHeader)} header`)
    return principal
  }

  /** The same message as for a missing header. A credential in the request may still be valid for another authenticator. */
  #untrusted(): CredentialRefused {
    return new CredentialRefused(this.missingCredentialMessage, {
      reason: 'an identity header from an address that is not a trusted proxy',
      final: false,
    })
  }
}

function readAttributes(text: string): Principal['attributes'] {
  const value = readJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refused('Failed to parse authentication attributes header: expected JSON object', 'a malformed attributes header')
  }
  return toAttributes(
    Object.entries(value).flatMap(([name, item]) => {
      const values = textsIn(item)
      return values.length > 0 ? [[name, values] as const] : []
    }),
  )
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message quotes what it met.
    throw refused('Failed to parse authentication attributes header: invalid JSON', 'a malformed attributes header')
  }
}

/** Each once. */
function textsIn(item: unknown): string[] {
  const values = (Array.isArray(item) ? item : [item]).filter(isScalar).map(String)
  return [...new Set(values)]
}

/** Adds the attributes of single headers: a JSON list of texts, or one text. */
function withHeaders(
  attributes: Principal['attributes'],
  attributeHeaders: UpstreamHeaderConfig['attributeHeaders'],
  headers: Headers,
): Principal['attributes'] {
  const names = Object.keys(attributeHeaders)
  if (names.length === 0) return attributes
  const collected = new Map<string, readonly string[]>(Object.entries(attributes))
  for (const name of names) {
    const text = headers.get(name)?.trim()
    if (!text) continue
    const attribute = attributeHeaders[name] as string
    collected.set(attribute, [...new Set([...(collected.get(attribute) ?? []), ...valuesIn(text, name)])])
  }
  return toAttributes(collected)
}

function valuesIn(text: string, name: string): string[] {
  if (text.startsWith('[')) return textsIn(readJson(text))
  // As a name, so an attribute: with a comma it may be the caller's and the proxy's.
  if (text.includes(','))
    throw refused('Invalid authentication header', `the header ${shortened(name)} names several, or came more than once`)
  return [text]
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function refused(message: string, reason: string): CredentialRefused {
  return new CredentialRefused(message, { reason })
}
