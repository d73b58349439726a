import type { Principal } from '../call.ts'
import type { Egress } from '../egress/egress.ts'
import { ApiError } from '../errors.ts'
import type { Events } from '../telemetry/events.ts'
import type { AuthenticationRequest, Authentication, Authenticator, Credential } from './authenticator.ts'
import type { AuthConfig, AuthenticatorConfig, RemoteConfig } from './config.ts'
import { credentialOf } from './credential.ts'
import { CustomLookup } from './custom.ts'
import { GitHubLookup } from './github-token.ts'
import { IdentityService } from './identity-service.ts'
import { KubernetesLookup } from './kubernetes.ts'
import { LocalApiKeys } from './local-api-keys.ts'
import { LookupLimiter } from './lookup-limiter.ts'
import { IntrospectionLookup } from './oauth2-introspection.ts'
import { JwksLookup } from './oauth2-jwks.ts'
import { CredentialRefused, missingCredential } from './refusal.ts'
import { type CredentialLookup, CachingAuthenticator } from './caching-authenticator.ts'
import { tenantCheck } from './tenant.ts'
import { UpstreamHeader } from './upstream-header.ts'

export interface AuthenticationDeps {
  readonly egress: Pick<Egress, 'request'>
  readonly events: Pick<Events, 'dependencyFailed' | 'dependencyRecovered' | 'warning'>
  /** Corral's own keys: asked first. Must be there where the configuration asks for `api_key`. */
  readonly keys?: Authenticator | undefined
  /** Milliseconds of the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined
}

/**
 * Who is asking: Corral's own keys first, then the configured authenticators in their order. The first that recognises a credential decides.
 * Throws an Error where the configuration asks for what is not there.
 */
export function createAuthentication(config: AuthConfig, deps: AuthenticationDeps): Authentication {
  const configured = config.authenticators.filter((one) => one.type !== 'api_key')
  if (configured.length < config.authenticators.length && !deps.keys)
    throw new Error('API keys are configured, but the key store is missing.')
  warnAboutConfig(configured, deps)
  const identityHeaders = identityHeadersOf(configured)
  return new AuthenticatorChain(
    configured.map((one) => create(one, deps, identityHeaders)),
    deps.keys,
    tenantCheck(config.tenancy),
  )
}

type Remote = Extract<AuthenticatorConfig, RemoteConfig>

/** The headers in which trusted proxies name the principal, in lower case: they are not forwarded. */
function identityHeadersOf(configured: readonly AuthenticatorConfig[]): string[] {
  return configured.flatMap((one) =>
    one.type === 'upstream_header'
      ? [one.principalHeader, one.attributesHeader, one.tenantHeader, ...Object.keys(one.attributeHeaders)].filter(
          (name) => name !== undefined,
        )
      : [],
  )
}

function create(
  config: Exclude<AuthenticatorConfig, { type: 'api_key' }>,
  deps: AuthenticationDeps,
  identityHeaders: readonly string[],
): Authenticator {
  if (config.type === 'upstream_header') return new UpstreamHeader(config)
  if (config.type === 'local_api_key') return new LocalApiKeys(config.apiKeys)
  const { now = Date.now } = deps
  const service = new IdentityService({ ...deps, network: config.network, timeout: config.timeout, type: config.type })
  // Signatures are checked in this process: the issuer only serves its keys, and rarely.
  const callsService = !(config.type === 'oauth2_token' && config.check.kind === 'jwks')
  const limiter = callsService ? new LookupLimiter({ ...config.lookups, queueTimeout: config.timeout, now }) : undefined
  const lookup = config.type === 'custom' ? new CustomLookup(config, service, identityHeaders) : lookupOf(config, service, now)
  return new CachingAuthenticator(lookup, { cache: config.cache, limiter, now })
}

function lookupOf(config: Exclude<Remote, { type: 'custom' }>, service: IdentityService, now: () => number): CredentialLookup {
  switch (config.type) {
    case 'oauth2_token':
      return config.check.kind === 'jwks'
        ? new JwksLookup(config, config.check, { service, now })
        : new IntrospectionLookup(config, config.check, { service, now })
    case 'kubernetes':
      return new KubernetesLookup(config, service)
    default:
      return new GitHubLookup(config, service)
  }
}

function warnAboutConfig(configured: readonly AuthenticatorConfig[], { events }: AuthenticationDeps): void {
  for (const one of configured) {
    if ('network' in one && one.network.tls?.verify === false) {
      events.warning(
        `server.auth: ${one.type} does not verify certificates (verify_tls: false): anyone on the network path can impersonate the identity service`,
      )
    }
  }
  const prefixes = configured.map((one) => ('principalPrefix' in one ? one.principalPrefix : ''))
  if (new Set(prefixes).size < prefixes.length) {
    events.warning('server.auth: several authenticators have no principal_prefix of their own: the same name may then belong to two users')
  }
}

class AuthenticatorChain implements Authentication {
  readonly #authenticators: readonly Authenticator[]
  /** The message for a request without a credential. */
  readonly #missing: string
  /** Whether a request can be authenticated without a credential. */
  readonly #takesHeaders: boolean

  readonly #withTenant: (principal: Principal) => Principal

  constructor(configured: readonly Authenticator[], keys: Authenticator | undefined, withTenant: (principal: Principal) => Principal) {
    this.#withTenant = withTenant
    this.#authenticators = keys ? [keys, ...configured] : configured
    this.#missing = (configured[0] ?? keys)?.missingCredentialMessage ?? 'Authentication required'
    this.#takesHeaders = configured.some((one) => one instanceof UpstreamHeader)
  }

  authenticate(request: Omit<AuthenticationRequest, 'credential'>): Promise<Principal> | Principal {
    let credential: Credential | undefined
    let malformed: ApiError | undefined
    try {
      credential = credentialOf(request.request)
    } catch (error) {
      // A proxy that says who is asking may use the Authorization header for itself.
      if (!this.#takesHeaders || !(error instanceof ApiError) || error.status !== 401) throw error
      malformed = error
    }
    if (credential === undefined && !this.#takesHeaders) throw missingCredential(this.#missing)
    return this.#authenticateFrom(new RequestWithCredential(request, credential), 0, malformed)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const authenticator of this.#authenticators.toReversed()) await authenticator[Symbol.asyncDispose]?.()
  }

  /** `refusal`: of an earlier authenticator that did not recognise the credential, thrown if none does. */
  #authenticateFrom(attempt: RequestWithCredential, first: number, refusal: ApiError | undefined): Promise<Principal> | Principal {
    let firstRefusal = refusal
    for (let index = first; index < this.#authenticators.length; index++) {
      try {
        const result = (this.#authenticators[index] as Authenticator).authenticate(attempt)
        if (result instanceof Promise) return this.#awaitResult(result, attempt, { next: index + 1, refusal: firstRefusal })
        if (result) return this.#withTenant(result)
      } catch (error) {
        firstRefusal = unrecognised(error, firstRefusal)
      }
    }
    throw firstRefusal ?? (attempt.credential ? unrecognisedCredential() : missingCredential(this.#missing))
  }

  async #awaitResult(
    pending: Promise<Principal | undefined>,
    attempt: RequestWithCredential,
    { next, refusal }: { next: number; refusal: ApiError | undefined },
  ): Promise<Principal> {
    let firstRefusal = refusal
    try {
      const principal = await pending
      if (principal) return this.#withTenant(principal)
    } catch (error) {
      firstRefusal = unrecognised(error, firstRefusal)
    }
    return this.#authenticateFrom(attempt, next, firstRefusal)
  }
}

/** The request with its credential; `signal` is read only by authenticators that wait. */
class RequestWithCredential implements AuthenticationRequest {
  readonly credential: Credential | undefined
  readonly #outer: Omit<AuthenticationRequest, 'credential'>

  constructor(outer: Omit<AuthenticationRequest, 'credential'>, credential: Credential | undefined) {
    this.#outer = outer
    this.credential = credential
  }

  get request(): Request {
    return this.#outer.request
  }

  get peerAddress(): string | undefined {
    return this.#outer.peerAddress
  }

  get clientAddress(): string | undefined {
    return this.#outer.clientAddress
  }

  get signal(): AbortSignal {
    return this.#outer.signal
  }
}

/** Rethrows a final error; else returns the refusal to throw if no authenticator recognises the credential: the first one. */
function unrecognised(error: unknown, earlier: ApiError | undefined): ApiError {
  if (error instanceof CredentialRefused && !error.final) return earlier ?? error
  throw error
}

function unrecognisedCredential(): ApiError {
  return new CredentialRefused('The credential was not recognised', { reason: 'no authenticator recognised the credential' })
}
