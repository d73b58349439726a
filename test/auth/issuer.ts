import { exportJWK, generateKeyPair, type GenerateKeyPairResult, type JWK, type JWTPayload, SignJWT } from 'jose'
import { jsonReply, mockUpstream, type MockUpstream } from '../../src/testing/index.ts'

interface SigningKey {
  readonly kid: string
  readonly algorithm: string
  readonly pair: GenerateKeyPairResult
  /** Public. */
  readonly jwk: JWK
}

export async function signingKey(algorithm: string, kid: string = crypto.randomUUID()): Promise<SigningKey> {
  const pair = await generateKeyPair(algorithm, { extractable: true })
  return { kid, algorithm, pair, jwk: { ...(await exportJWK(pair.publicKey)), kid } }
}

/** An issuer whose keys and tokens are the test's to choose. */
export interface Issuer extends AsyncDisposable {
  readonly keys: MockUpstream
  /** The key set it publishes; may be changed. */
  readonly published: SigningKey[]
  /** As `server.auth.provider_config`. */
  section(over?: Record<string, unknown>, jwks?: Record<string, unknown>): Record<string, unknown>
  /** Signed with the first key, good for ten minutes, for `llama-stack`, of `ada`, unless these claims say something else. */
  token(
    claims?: JWTPayload & Record<string, unknown>,
    how?: { key?: SigningKey; header?: Record<string, unknown>; now?: number },
  ): Promise<string>
}

export const issuerName = 'https://issuer.test'

export async function startIssuer(...first: SigningKey[]): Promise<Issuer> {
  const keys = await mockUpstream()
  const published = first.length > 0 ? first : [await signingKey('ES256')]
  keys.respond(() => jsonReply({ keys: published.map(({ jwk }) => jwk) }))
  return {
    keys,
    published,
    section: (over = {}, jwks = {}) => ({ type: 'oauth2_token', issuer: issuerName, jwks: { uri: `${keys.url}/jwks`, ...jwks }, ...over }),
    async token(claims = {}, { key = published[0] as SigningKey, header = {}, now = Date.now() } = {}) {
      const seconds = Math.floor(now / 1000)
      const all = { iss: issuerName, aud: 'llama-stack', sub: 'ada', iat: seconds, exp: seconds + 600, ...claims }
      const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
      return new SignJWT(given).setProtectedHeader({ alg: key.algorithm, kid: key.kid, ...header }).sign(key.pair.privateKey)
    },
    [Symbol.asyncDispose]: () => keys[Symbol.asyncDispose](),
  }
}
