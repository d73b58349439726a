declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http'

  export default class OidcProvider {
    constructor(issuer: string, configuration: object)
    callback(): RequestListener
  }
}
