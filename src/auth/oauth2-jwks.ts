import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose'
import type { Credential } from './authenticator.ts'
import { attributesOf, claimAt, topLevelClaim } from './claims.ts'
import type { JwksConfig, OAuth2Config } from './config.ts'
import type { IdentityService } from './identity-service.ts'
import { KeySetSource } from './key-set-source.ts'
import { toPrincipal } from './principal.ts'
import { CredentialRefused, type RefusalDetail } from './refusal.ts'
import { withTenant } from './tenant.ts'
import type { Identity, CredentialLookup } from './caching-authenticator.ts'
import { knownAlgorithms, type VerificationKey } from './verification-keys.ts'

interface JwksDeps {
  readonly service: IdentityService
  readonly now: () => number
}

interface SignedToken {
  readonly token: string
  readonly algorithm: string
  readonly kid: string | undefined
}

/** Keys that a token without `kid` is tried with. */
const maxTries = 4

/** Signed by one of an issuer's keys, for us, and in force now: `oauth2_token` with `jwks`. */
export class JwksLookup implements CredentialLookup {
  readonly type = 'oauth2_token'
  readonly missingCredentialMessage: string
  readonly scope: readonly unknown[]
  readonly #config: OAuth2Config
  readonly #keys: KeySetSource
  readonly #now: () => number

  constructor(config: OAuth2Config, check: JwksConfig, { service, now }: JwksDeps) {
    const { issuer, audience } = config
    this.missingCredentialMessage = issuer
      ? `Authentication required. Please provide a valid OAuth2 Bearer token from ${issuer}`
      : 'Authentication required. Please provide a valid OAuth2 Bearer token in the Authorization header'
    this.scope = [issuer, audience]
    this.#config = config
    this.#keys = new KeySetSource(check, service, now)
    this.#now = now
  }

  precheck(token: string): void {
    if (token.split('.', 4).length !== 3) throw unknownIssuer('not a JWT')
    const { issuer } = this.#config
    // Only says whom to ask: nothing of a token is believed before its signature is checked.
    if (issuer !== undefined && unverifiedIssuer(token) !== issuer) throw unknownIssuer('another issuer')
  }

  async find({ token }: Credential): Promise<Identity> {
    const signed: SignedToken = { token, ...readHeader(token) }
    // jose accepts several spellings of one signature: padding, `+` and `/`, and bits of the last character that encode nothing.
    if (!token.split('.').every(isCanonicalBase64url)) throw invalid({ reason: 'not canonical base64url' })
    const keys = await this.#keys.current()
    const candidates = candidatesAmong(keys, signed)
    const claims =
      (candidates.length > 0 && (await this.#verify(signed, candidates))) || (await this.#verifyWithNewKeys(signed, keys, candidates))
    return this.#identityOf(claims)
  }

  /** No key fits. One of those there are now may: of the name that is not known, or, where the token names none, of any. */
  async #verifyWithNewKeys(signed: SignedToken, known: readonly VerificationKey[], tried: readonly VerificationKey[]): Promise<JWTPayload> {
    if (tried.length > 0 && signed.kid !== undefined) throw invalid({ reason: 'bad signature' })
    const keys = await this.#keys.renewed()
    const candidates = keys === known ? [] : candidatesAmong(keys, signed)
    const claims = await this.#verify(signed, candidates)
    if (claims) return claims
    const until = this.#keys.cooldownEnd
    throw tried.length + candidates.length > 0 ? invalid({ reason: 'bad signature', until }) : unknownIssuer('no such key', { until })
  }

  /** Undefined: signed with none of these keys. */
  async #verify({ token, algorithm }: SignedToken, candidates: readonly VerificationKey[]): Promise<JWTPayload | undefined> {
    const { audience, issuer, clockTolerance, requireExpiry } = this.#config
    for (const candidate of candidates.slice(0, maxTries)) {
      const key = await candidate.import(algorithm).catch(() => undefined)
      if (!key) continue
      try {
        const { payload } = await jwtVerify(token, key, {
          // Of one element, and it is the key's own: the token's was only used to choose the key.
          algorithms: candidate.algorithms.filter((name) => name === algorithm),
          audience: [...audience],
          ...(issuer !== undefined && { issuer }),
          clockTolerance,
          currentDate: new Date(this.#now()),
          requiredClaims: requireExpiry ? ['exp'] : [],
        })
        return payload
      } catch (error) {
        if (error instanceof errors.JWSSignatureVerificationFailed) continue
        throw this.#refusalOf(error)
      }
    }
    return undefined
  }

  #identityOf(claims: JWTPayload): Identity {
    const { principalPrefix, principalClaim = 'sub', claimsMapping, tenantClaim, clockTolerance } = this.#config
    const seconds = this.#now() / 1000
    if (claims.iat !== undefined && claims.iat > seconds + clockTolerance) {
      throw this.#notYet('token issued in the future', claims.iat)
    }
    // JSON can spell numbers that are infinite, such as 1e999.
    if (claims.exp !== undefined && !Number.isFinite(claims.exp)) throw invalid(badExpiry)
    const attributes = withTenant(attributesOf(claims, claimsMapping), tenantClaim, topLevelClaim(claims, tenantClaim))
    const principal = toPrincipal(claimAt(claims, principalClaim), { type: this.type, prefix: principalPrefix, attributes })
    if (!principal) throw invalid({ reason: 'no usable subject', description: 'The token names no usable subject' })
    return { principal, until: claims.exp === undefined ? undefined : (claims.exp + clockTolerance) * 1000 }
  }

  /** jose's errors contain the claims: they are replaced by our own messages. */
  #refusalOf(error: unknown): CredentialRefused {
    if (error instanceof errors.JWTExpired) {
      return invalid({ reason: 'token expired', description: 'The token has expired', code: 'token_expired' })
    }
    if (!(error instanceof errors.JWTClaimValidationFailed)) return invalid({ reason: 'malformed token' })
    const { claim, payload } = error
    if (claim === 'exp' && payload.exp !== undefined) return invalid(badExpiry)
    if (claim === 'nbf' && typeof payload.nbf === 'number') return this.#notYet('token not valid yet', payload.nbf)
    const [reason, description] = claimFaults[claim] ?? ['bad claim', 'A claim of the token is not valid']
    return invalid({ reason, description })
  }

  #notYet(reason: string, from: number): CredentialRefused {
    return invalid({ reason, description: 'The token is not valid yet', until: (from - this.#config.clockTolerance) * 1000 })
  }
}

/** Claim → the reason in the log, the description for the caller. */
const claimFaults: Readonly<Record<string, readonly [string, string]>> = {
  aud: ['wrong audience', 'The token is for another audience'],
  iss: ['wrong issuer', 'The token is from another issuer'],
  exp: ['token without expiry', 'The token has no expiry'],
  nbf: ['bad claim', 'A claim of the token is not valid'],
}

const badExpiry: RefusalDetail = { reason: 'bad expiry', description: 'The expiry of the token is not a finite number' }

/** RFC 7515 §2: base64url without padding; RFC 4648 §3.5: the bits that encode nothing are zero. */
function isCanonicalBase64url(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text
}

function invalid(detail: RefusalDetail): CredentialRefused {
  return new CredentialRefused('Invalid JWT token', detail)
}

function unknownIssuer(reason: string, detail: Partial<RefusalDetail> = {}): CredentialRefused {
  return invalid({ reason, final: false, ...detail })
}

function readHeader(token: string): { algorithm: string; kid: string | undefined } {
  let header: ReturnType<typeof decodeProtectedHeader>
  try {
    header = decodeProtectedHeader(token)
  } catch {
    // The error may quote what it met.
    throw unknownIssuer('malformed token')
  }
  const { alg, kid } = header
  if (typeof alg !== 'string' || !knownAlgorithms.has(alg)) throw invalid({ reason: 'an algorithm that no key has' })
  if (kid !== undefined && typeof kid !== 'string') throw invalid({ reason: 'malformed token' })
  return { algorithm: alg, kid }
}

function unverifiedIssuer(token: string): unknown {
  try {
    return decodeJwt(token).iss
  } catch {
    return undefined
  }
}

/** Those that the token may have been signed with: of that name where it names one, and of a type that signs so. */
function candidatesAmong(keys: readonly VerificationKey[], { algorithm, kid }: SignedToken): readonly VerificationKey[] {
  return keys.filter((key) => (kid === undefined || key.kid === kid) && key.algorithms.includes(algorithm))
}
