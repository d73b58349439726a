import type { Credential } from './authenticator.ts'
import { attributesOf, claimAt } from './claims.ts'
import type { KubernetesConfig } from './config.ts'
import { jsonObjectOf, type IdentityService } from './identity-service.ts'
import { toPrincipal } from './principal.ts'
import { CredentialRefused } from './refusal.ts'
import { withTenant } from './tenant.ts'
import type { Identity, CredentialLookup } from './caching-authenticator.ts'

/** Kubernetes 1.28 and later. */
const reviewPath = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
const review = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' })

/** Asks a cluster, with the caller's own token, who that is: `kubernetes`. */
export class KubernetesLookup implements CredentialLookup {
  readonly type = 'kubernetes'
  readonly missingCredentialMessage = 'Authentication required. Please provide a Kubernetes token as a Bearer token'
  readonly scope: readonly unknown[]
  readonly #config: KubernetesConfig
  readonly #service: IdentityService
  readonly #url: string

  constructor(config: KubernetesConfig, service: IdentityService) {
    this.scope = [config.apiServerUrl]
    this.#config = config
    this.#service = service
    this.#url = config.apiServerUrl.replace(/\/+$/, '') + reviewPath
  }

  async find({ token }: Credential): Promise<Identity> {
    const response = await this.#service.send(this.#url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json' },
      body: review,
    })
    const { status } = response
    if (status === 401) throw new CredentialRefused('Invalid token', { reason: 'the cluster does not know the token', final: false })
    if (status !== 201)
      throw new CredentialRefused(`Token validation failed: ${status}`, { reason: `the cluster responded with status ${status}` })
    this.#service.reportSuccess(this.#url)
    const userInfo = claimAt(jsonObjectOf(response), 'status.userInfo')
    const username = claimAt(userInfo, 'username')
    const { principalPrefix, claimsMapping, tenantClaim } = this.#config
    const tenant = tenantClaim === undefined ? undefined : claimAt(userInfo, tenantClaim)
    // Kubernetes gives extra fields as lists.
    const attributes = withTenant(
      attributesOf(userInfo, claimsMapping),
      tenantClaim,
      Array.isArray(tenant) && tenant.length === 1 ? tenant[0] : tenant,
    )
    const principal = toPrincipal(username, { type: this.type, prefix: principalPrefix, attributes })
    if (!principal) {
      throw new CredentialRefused('Token validation error: No username found in SelfSubjectReview response', {
        reason: 'the cluster named no usable user',
        until: 0,
      })
    }
    // A cluster that lets strangers ask says that they are one, and does not refuse.
    if (username === 'system:anonymous') {
      throw new CredentialRefused('Invalid token', { reason: 'the cluster does not accept the token', final: false })
    }
    return { principal }
  }
}
