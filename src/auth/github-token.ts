import type { Credential } from './authenticator.ts'
import { attributesOf } from './claims.ts'
import type { GitHubTokenConfig } from './config.ts'
import { jsonObjectOf, type IdentityService, type ServiceResponse } from './identity-service.ts'
import { toPrincipal } from './principal.ts'
import { CredentialRefused } from './refusal.ts'
import type { Identity, CredentialLookup } from './caching-authenticator.ts'

const publicGitHub = 'https://api.github.com'

/** GitHub's token formats, and the plain hexadecimal one before 2021. */
const githubToken = /^(?:gh[a-z]_|github_pat_|v\d\.)[\w.-]+$|^[0-9a-f]{40}$/

const perPage = 100
/** A thousand organisations. */
const maxPages = 10

/** Asks GitHub who a token belongs to, and which organisations that is in: `github_token`. */
export class GitHubLookup implements CredentialLookup {
  readonly type = 'github_token'
  readonly missingCredentialMessage =
    'Authentication required. Please provide a valid GitHub access token (https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/managing-your-personal-access-tokens) in the Authorization header (Bearer <token>)'
  readonly scope: readonly unknown[]
  readonly #config: GitHubTokenConfig
  readonly #service: IdentityService
  readonly #base: string

  constructor(config: GitHubTokenConfig, service: IdentityService) {
    this.scope = [config.apiBaseUrl]
    this.#config = config
    this.#service = service
    this.#base = config.apiBaseUrl.replace(/\/+$/, '')
  }

  /** What cannot be GitHub's is not shown to GitHub: it may be another service's, and GitHub locks addresses out that guess. */
  precheck(token: string): void {
    const isJwt = /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)
    if (this.#base === publicGitHub ? !githubToken.test(token) : isJwt) throw refused('not a GitHub token')
  }

  async find({ token }: Credential): Promise<Identity> {
    const response = await this.#get('/user', token)
    if (response.status !== 200) throw refused(`GitHub responded with status ${response.status}`)
    const user = jsonObjectOf(response)
    if (!user) throw this.#service.invalidResponse(this.#base, 'the GitHub response has no user')
    this.#service.reportSuccess(this.#base)
    const organizations = await this.#organizations(token)
    const { login, id } = user
    const claims = { ...user, id: typeof id === 'number' ? String(id) : id, organizations }
    const { principalPrefix, claimsMapping } = this.#config
    const attributes = attributesOf(claims, claimsMapping)
    const principal = toPrincipal(login, { type: this.type, prefix: principalPrefix, attributes })
    if (!principal) throw this.#service.invalidResponse(this.#base, 'GitHub named no usable login')
    return { principal }
  }

  /** None where the token may not list them (it lacks `read:org`): a team is never taken on trust. */
  async #organizations(token: string): Promise<string[]> {
    const logins: string[] = []
    for (let page = 1; page <= maxPages; page++) {
      const response = await this.#get(`/user/orgs?per_page=${perPage}&page=${page}`, token)
      if (response.status === 401) throw refused('GitHub responded with status 401')
      if (response.status !== 200) return []
      const entries = listOf(response)
      if (!entries) throw this.#service.invalidResponse(this.#base, 'the GitHub response has no list of organisations')
      for (const entry of entries) {
        const login: unknown = typeof entry === 'object' && entry !== null ? (entry as { login?: unknown }).login : undefined
        if (typeof login === 'string') logins.push(login)
      }
      if (entries.length < perPage) break
    }
    return logins
  }

  /** Throws ApiError 503, also where GitHub wants fewer questions: it says so with 403 or 429. */
  async #get(path: string, token: string): Promise<ServiceResponse> {
    const response = await this.#service.send(this.#base + path, {
      method: 'GET',
      headers: { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' },
    })
    if (response.status === 403 && isLimited(response)) throw this.#service.overloaded(this.#base, response.status, response.headers)
    return response
  }
}

function refused(reason: string): CredentialRefused {
  return new CredentialRefused('GitHub token validation failed. Please check your token and try again.', { reason, final: false })
}

/** Its own limit, or that of bad guesses from our address, whatever this token is worth. */
function isLimited({ headers, bytes }: ServiceResponse): boolean {
  if (headers.get('x-ratelimit-remaining') === '0' || headers.has('retry-after')) return true
  return /rate limit|maximum number of login attempts/i.test(new TextDecoder().decode(bytes.subarray(0, 4096)))
}

function listOf({ bytes }: ServiceResponse): unknown[] | undefined {
  const wrapped = jsonObjectOf({ bytes: Buffer.concat([Buffer.from('{"list":'), bytes, Buffer.from('}')]) })
  return Array.isArray(wrapped?.['list']) ? wrapped['list'] : undefined
}
