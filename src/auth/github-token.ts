import type { Credential } from './authenticator.ts'
import { attributesOf } from './claims.ts'
import type { GitHubTokenConfig } from './config.ts'
import { jsonObjectOf, type IdentityService, type ServiceAnswer } from './identity-service.ts'
import { toPrincipal } from './principal.ts'
import { CredentialRefused } from './refusal.ts'
import type { Found, LookUp } from './caching-authenticator.ts'

export const publicGitHub = 'https://api.github.com'

/** GitHub's token formats, and the plain hexadecimal one before 2021. */
const githubToken = /^(?:gh[a-z]_|github_pat_|v\d\.)[\w.-]+$|^[0-9a-f]{40}$/

const perPage = 100
/** A thousand organisations. */
const maxPages = 10

/** Asks GitHub who a token belongs to, and which organisations that is in: `github_token`. */
export class GitHubLookUp implements LookUp {
  readonly type = 'github_token'
  readonly missing =
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

  async find({ token }: Credential): Promise<Found> {
    const answer = await this.#get('/user', token)
    if (answer.status !== 200) throw refused(`GitHub answered ${answer.status}`)
    const user = jsonObjectOf(answer)
    if (!user) throw this.#service.broken(this.#base, 'GitHub answered 200 without a user')
    this.#service.works(this.#base)
    const organizations = await this.#organizations(token)
    const { login, id } = user
    const claims = { ...user, id: typeof id === 'number' ? String(id) : id, organizations }
    const { principalPrefix, claimsMapping } = this.#config
    const attributes = attributesOf(claims, claimsMapping)
    const principal = toPrincipal(login, { type: this.type, prefix: principalPrefix, attributes })
    if (!principal) throw this.#service.broken(this.#base, 'GitHub named no usable login')
    return { principal }
  }

  /** None where the token may not list them (it lacks `read:org`): a team is never taken on trust. */
  async #organizations(token: string): Promise<string[]> {
    const logins: string[] = []
    for (let page = 1; page <= maxPages; page++) {
      const answer = await this.#get(`/user/orgs?per_page=${perPage}&page=${page}`, token)
      if (answer.status === 401) throw refused('GitHub answered 401')
      if (answer.status !== 200) return []
      const entries = listOf(answer)
      if (!entries) throw this.#service.broken(this.#base, 'GitHub answered 200 without a list of organisations')
      for (const entry of entries) {
        const login: unknown = typeof entry === 'object' && entry !== null ? (entry as { login?: unknown }).login : undefined
        if (typeof login === 'string') logins.push(login)
      }
      if (entries.length < perPage) break
    }
    return logins
  }

  /** Throws ApiError 503, also where GitHub wants fewer questions: it says so with 403 or 429. */
  async #get(path: string, token: string): Promise<ServiceAnswer> {
    const answer = await this.#service.ask(this.#base + path, {
      method: 'GET',
      headers: { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' },
    })
    if (answer.status === 403 && isLimited(answer)) throw this.#service.overloaded(this.#base, answer.status, answer.headers)
    return answer
  }
}

function refused(reason: string): CredentialRefused {
  return new CredentialRefused('GitHub token validation failed. Please check your token and try again.', { reason, final: false })
}

/** Its own limit, or that of bad guesses from our address, whatever this token is worth. */
function isLimited({ headers, bytes }: ServiceAnswer): boolean {
  if (headers.get('x-ratelimit-remaining') === '0' || headers.has('retry-after')) return true
  return /rate limit|maximum number of login attempts/i.test(new TextDecoder().decode(bytes.subarray(0, 4096)))
}

function listOf({ bytes }: ServiceAnswer): unknown[] | undefined {
  const wrapped = jsonObjectOf({ bytes: Buffer.concat([Buffer.from('{"list":'), bytes, Buffer.from('}')]) })
  return Array.isArray(wrapped?.['list']) ? wrapped['list'] : undefined
}
