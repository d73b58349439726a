import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Corral with all of governance: keys, tokens, both policies, limits on requests, tokens and dollars, the ledger, the audit log. */
export interface Governed {
  readonly file: string
  readonly env: Readonly<Record<string, string>>
  /** The credential of a caller: one of Corral's own keys, or a token of the identity provider. */
  readonly key: string
  readonly token: string
  /** The file of its trace store, where it has one. */
  readonly traces: string
}

const audience = 'corral-bench'

/** An identity provider: its key set, and tokens signed by it. It lives as long as the benchmark. */
export class IdentityProvider {
  readonly #key: KeyObject
  readonly #server: Bun.Server<undefined>

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    this.#key = privateKey
    const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench', use: 'sig', alg: 'RS256' }]
    this.#server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => Response.json({ keys }) })
    this.#server.unref()
  }

  get jwksUri(): string {
    return `${this.#server.url.href}jwks`
  }

  token(): string {
    const claims = { sub: 'ann', aud: audience, groups: ['red'], scope: 'telemetry.read', exp: Math.floor(Date.now() / 1000) + 86_400 }
    const signed = `${part({ alg: 'RS256', kid: 'bench', typ: 'JWT' })}.${part(claims)}`
    return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), this.#key).toString('base64url')}`
  }
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

interface GovernedOptions {
  readonly name: string
  /** Started once. */
  readonly provider: IdentityProvider
  readonly folder: string
  readonly port: number
  readonly upstream: string
  /** The command that runs Corral's command line. */
  readonly corral: readonly string[]
  /** The configuration's section; absent: as without it. */
  readonly telemetry?: object
}

/** Writes the configuration and makes a key in a fresh home. */
export function prepareGoverned({ name, provider, folder, port, upstream, corral, telemetry }: GovernedOptions): Governed {
  const home = join(folder, `${name.replaceAll(/\W+/g, '-')}-home`)
  rmSync(home, { recursive: true, force: true })
  mkdirSync(home, { recursive: true })
  const file = join(home, 'run.yaml')
  const config = { base_url: `${upstream}/v1`, api_key: 'sk-upstream' }
  writeFileSync(
    file,
    // JSON is YAML.
    JSON.stringify({
      version: 2,
      distro_name: 'bench',
      providers: { inference: [{ provider_id: 'bench', provider_type: 'remote::openai-compatible', config }] },
      server: {
        port,
        auth: {
          provider_config: { type: 'oauth2_token', audience, jwks: { uri: provider.jwksUri } },
          route_policy: [
            { permit: { paths: ['/v1/health', '/readyz'] } },
            { forbid: { paths: '/v1alpha/admin*' }, unless: 'user with admin in roles' },
            { permit: { paths: ['/v1/*', '/metrics'] }, when: 'user with red in teams' },
          ],
          access_policy: [
            { forbid: { actions: 'read', resource: 'model::bench/secret*' }, unless: 'user with research in teams' },
            { permit: { actions: 'read', resource: 'model::*' }, when: 'user with red in teams' },
          ],
        },
        quota: {
          limits: [
            { name: 'pace', per: 'user', requests: 1e9, period: 'minute' },
            { name: 'tokens', per: 'user', total_tokens: 1e12, period: 'minute' },
            { name: 'budget', per: 'team', dollars: 1e6, period: 'month' },
          ],
          prices: [{ model: '*', input_per_million: 0.6, output_per_million: 2.4 }],
        },
      },
      ...(telemetry && { telemetry }),
    }),
  )
  const env = { CORRAL_HOME: home }
  const [program = '', ...words] = corral
  const created = execFileSync(
    program,
    [
      ...words,
      'keys',
      'create',
      '--config',
      file,
      '--name',
      'bench',
      '--as',
      'ann',
      '--attribute',
      'teams=red',
      '--attribute',
      'scopes=telemetry.read',
    ],
    {
      env: { ...process.env, ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  return { file, env, key: created.trim(), token: provider.token(), traces: join(home, 'traces.db') }
}
