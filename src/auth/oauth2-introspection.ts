import {
  allowInsecureRequests,
  type AuthorizationServer,
  type Client,
  type ClientAuth,
  ClientSecretPost,
  customFetch,
  introspectionRequest,
  type IntrospectionResponse,
  processIntrospectionResponse,
} from 'oauth4webapi'
import type { Credential } from './authenticator.ts'
import { attributesOf, claimAt, topLevelClaim } from './claims.ts'
import type { IntrospectionConfig, OAuth2Config } from './config.ts'
import { fetchThrough } from './fetch-through.ts'
import { hostOf, type IdentityService } from './identity-service.ts'
import { toPrincipal } from './principal.ts'
import { CredentialRefused } from './refusal.ts'
import { withTenant } from './tenant.ts'
import type { Identity, CredentialLookup } from './caching-authenticator.ts'

interface IntrospectionDeps {
  readonly service: IdentityService
  readonly now: () => number
}

/** Asks the issuer about each token (RFC 7662): `oauth2_token` with `introspection`. */
export class IntrospectionLookup implements CredentialLookup {
  readonly type = 'oauth2_token'
  readonly missingCredentialMessage: string
  readonly scope: readonly unknown[]
  readonly #config: OAuth2Config
  readonly #url: string
  readonly #deps: IntrospectionDeps
  readonly #server: AuthorizationServer
  readonly #client: Client
  readonly #clientAuth: ClientAuth
  readonly #fetch: ReturnType<typeof fetchThrough>

  constructor(config: OAuth2Config, check: IntrospectionConfig, deps: IntrospectionDeps) {
    const { issuer, audience } = config
    this.missingCredentialMessage = issuer
      ? `Authentication required. Please provide a valid OAuth2 Bearer token from ${issuer}`
      : `Authentication required. Please provide a valid OAuth2 Bearer token validated by ${hostOf(check.url)}`
    this.scope = [issuer, audience, check.url]
    this.#config = config
    this.#url = check.url
    this.#deps = deps
    this.#server = { issuer: issuer ?? check.url, introspection_endpoint: check.url }
    this.#client = { client_id: check.clientId }
    const secret = check.clientSecret.reveal()
    this.#clientAuth = check.sendSecretInBody ? ClientSecretPost(secret) : basic(secret)
    this.#fetch = fetchThrough(deps.service)
  }

  async find({ token }: Credential): Promise<Identity> {
    const reply = await this.#introspect(token)
    // True or false, nothing else: the caller has checked that. A token of another client looks the same to an issuer as one that has expired.
    if (!reply.active) throw refused('Token not active', { reason: 'token not active', final: false })
    this.#validateClaims(reply)
    const { principalPrefix, principalClaim, claimsMapping, tenantClaim, clockTolerance } = this.#config
    const attributes = withTenant(attributesOf(reply, claimsMapping), tenantClaim, topLevelClaim(reply, tenantClaim))
    const id = principalClaim === undefined ? reply.sub || reply.username : claimAt(reply, principalClaim)
    const principal = toPrincipal(id, { type: this.type, prefix: principalPrefix, attributes })
    if (!principal) throw refused('Token introspection error', { reason: 'the introspection names no usable subject' })
    return { principal, until: reply.exp !== undefined ? (reply.exp + clockTolerance) * 1000 : undefined }
  }

  async #introspect(token: string): Promise<IntrospectionResponse> {
    const { service } = this.#deps
    const response = await introspectionRequest(this.#server, this.#client, this.#clientAuth, token, {
      [customFetch]: this.#fetch,
      // An operator's URL is trusted as configured, including `http:` within a cluster.
      [allowInsecureRequests]: true,
    })
    const { status } = response
    // RFC 7662 §2.3: what is not accepted then are our own credentials.
    if (status === 401 || status === 403)
      throw service.invalidResponse(this.#url, `introspection responded with status ${status}: check client_id and client_secret`)
    if (status !== 200)
      throw refused(`Token introspection failed: ${status}`, { reason: `introspection responded with status ${status}`, final: false })
    const reply = await this.#read(response)
    if (!reply) throw service.invalidResponse(this.#url, 'the introspection response does not conform to RFC 7662')
    // Without its expiry, a token would be accepted for longer than its issuer meant.
    if (reply.active && !(isTime(reply.exp) && isTime(reply.nbf)))
      throw service.invalidResponse(this.#url, 'introspection responded 200 with an exp or nbf that is not a finite number (RFC 7662 §2.2)')
    service.reportSuccess(this.#url)
    return reply
  }

  /** Undefined if it is not an introspection response: not a JSON object, or `active` is not a boolean. */
  async #read(response: Response): Promise<IntrospectionResponse | undefined> {
    try {
      return await processIntrospectionResponse(this.#server, this.#client, response)
    } catch {
      // The library's errors contain the response.
      return undefined
    }
  }

  /** What an issuer says of a token's time, issuer and audience counts where it says it; the audience only where the file names one. */
  #validateClaims({ exp, nbf, iss, aud }: IntrospectionResponse): void {
    const { clockTolerance, issuer, audience, audienceConfigured } = this.#config
    const seconds = this.#deps.now() / 1000
    if (exp !== undefined && exp <= seconds - clockTolerance)
      throw refused('Token not active', { reason: 'token expired', code: 'token_expired' })
    if (nbf !== undefined && nbf > seconds + clockTolerance) throw refused('Token not active', { reason: 'token not valid yet' })
    if (issuer !== undefined && iss !== undefined && iss !== issuer) {
      throw refused('Token not active', { reason: 'wrong issuer', description: 'The token is from another issuer', final: false })
    }
    const meant: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
    if (audienceConfigured && aud !== undefined && !meant.some((one) => typeof one === 'string' && audience.includes(one))) {
      throw refused('Token not active', { reason: 'wrong audience', description: 'The token is for another audience' })
    }
  }
}

/** Absent, or seconds of the epoch. */
function isTime(value: unknown): boolean {
  return value === undefined || Number.isFinite(value)
}

/**
 * HTTP Basic with id and secret as RFC 6749 §2.3.1 wants them encoded, and no more than that: the library's own way also encodes `-`, `.` and `_`,
 * which fails with the many servers that decode nothing.
 */
function basic(secret: string): ClientAuth {
  return (_server, client, _body, headers) => {
    headers.set('authorization', `Basic ${btoa(`${formEncoded(client.client_id)}:${formEncoded(secret)}`)}`)
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

function refused(message: string, detail: ConstructorParameters<typeof CredentialRefused>[1]): CredentialRefused {
  return new CredentialRefused(message, detail)
}
