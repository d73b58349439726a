import { importJWK, type CryptoKey, type JWK } from 'jose'

/** One public key of an issuer, with the algorithms of its type and curve, never the token's choice. */
export interface VerificationKey {
  readonly kid: string | undefined
  readonly algorithms: readonly string[]
  /** Throws where the key turns out to be none. */
  import(algorithm: string): Promise<CryptoKey>
}

const rsa = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']

/** `kty` and `crv` → what they sign with (RFC 7518 §3.1, RFC 8037, RFC 9864). Symmetric keys (`oct`) have no line: they are never used. */
const algorithmsOf: Readonly<Record<string, readonly string[]>> = {
  RSA: rsa,
  'EC P-256': ['ES256'],
  'EC P-384': ['ES384'],
  'EC P-521': ['ES512'],
  'OKP Ed25519': ['EdDSA', 'Ed25519'],
}

/** Every algorithm that any key may have. */
export const knownAlgorithms: ReadonlySet<string> = new Set(Object.values(algorithmsOf).flat())

/** Characters of a base64url modulus of 2048 bits, of which RFC 7518 §3.3 wants no fewer. */
const minModulusBits = 342

/** Of one set. */
const maxKeys = 100

/**
 * The keys of a JSON Web Key Set that signatures may be checked with; others are left out: symmetric ones, those for encryption, RSA keys under
 * 2048 bits. Undefined if it is not a key set.
 */
export function readKeySet(value: unknown): VerificationKey[] | undefined {
  const keys = typeof value === 'object' && value !== null ? (value as { keys?: unknown }).keys : undefined
  if (!Array.isArray(keys)) return undefined
  return keys.slice(0, maxKeys).flatMap((key: unknown) => readKey(key) ?? [])
}

function readKey(value: unknown): VerificationKey | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { kty, crv, kid, alg, use, key_ops: operations, n } = value as Record<string, unknown>
  const kind = kty === 'RSA' ? 'RSA' : `${String(kty)} ${String(crv)}`
  const byType = Object.hasOwn(algorithmsOf, kind) ? (algorithmsOf[kind] as readonly string[]) : []
  const algorithms = alg === undefined ? byType : byType.filter((name) => name === alg)
  if (algorithms.length === 0 || (use !== undefined && use !== 'sig')) return undefined
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined
  if (kty === 'RSA' && !(typeof n === 'string' && n.length >= minModulusBits)) return undefined
  if (kid !== undefined && typeof kid !== 'string') return undefined
  const imported = new Map<string, Promise<CryptoKey>>()
  return {
    kid,
    algorithms,
    import(algorithm) {
      let key = imported.get(algorithm)
      if (!key) imported.set(algorithm, (key = importPublic(value, algorithm)))
      return key
    },
  }
}

/** A set that holds private parts by mistake is used for its public ones alone. */
async function importPublic(jwk: JWK, algorithm: string): Promise<CryptoKey> {
  const { kty, crv, n, e, x, y } = jwk
  return (await importJWK({ kty, crv, n, e, x, y, alg: algorithm }, algorithm)) as CryptoKey
}
