import type { IdentityService } from './identity-service.ts'

/** What libraries hand to a `fetch` of their choosing. */
interface FetchInit {
  readonly method?: string
  readonly headers?: HeadersInit
  readonly body?: unknown
}

/**
 * A `fetch` for libraries that take one: asks an identity service through our one way out, within its limits of time and size.
 * Bodies are URLSearchParams or text. Rejects with ApiError 503.
 */
export function fetchThrough(service: IdentityService): (url: string, init: FetchInit) => Promise<Response> {
  return async (url, { method = 'GET', headers, body }) => {
    const response = await service.send(url, {
      method: method === 'POST' ? 'POST' : 'GET',
      headers: Object.fromEntries(new Headers(headers)),
      ...(body !== undefined && body !== null && { body: typeof body === 'string' ? body : (body as URLSearchParams).toString() }),
    })
    const isEmpty = response.status === 204 || response.status === 304 || response.bytes.length === 0
    return new Response(isEmpty ? null : (response.bytes as BodyInit), { status: response.status, headers: response.headers })
  }
}
