import { createDenyList } from '../../egress/allow-list.ts'
import { isListed, hostAndPortOf } from '../../egress/guard.ts'
import { type ApiError, invalidRequest, shortened } from '../../errors.ts'
import { type ImageUrl, imageUrlsIn } from '../../schemas/image-urls.ts'

/** Throws ApiError 400 where an image of `messages` is at a URL that is not accepted. */
export type CheckImageUrls = (messages: unknown) => void

/**
 * Accepts http(s) and `data:` URLs, which providers fetch or read for themselves; `deny` (`server.egress.deny`) refuses hosts as they are written.
 * Nothing is resolved here: where this server fetches an image, the egress guard applies as well.
 */
export function createImageUrlCheck(deny: readonly string[] = []): CheckImageUrls {
  const denied = createDenyList(deny)
  return (messages) => {
    for (const image of imageUrlsIn(messages)) {
      if (/^data:/i.test(image.url)) continue
      const url = /^https?:\/\//i.test(image.url) && URL.canParse(image.url) ? new URL(image.url) : undefined
      if (!url) throw invalidUrl(image)
      const place = hostAndPortOf(url)
      if (!denied.isEmpty && isListed(denied, place)) throw deniedUrl(image, place)
    }
  }
}

function invalidUrl({ path, url }: ImageUrl): ApiError {
  return invalidRequest(`'${path}' must be an http://, https:// or data: URL, got '${shortened(url, 100)}'.`, {
    code: 'invalid_image_url',
    param: path,
  })
}

function deniedUrl({ path }: ImageUrl, { host, port }: ReturnType<typeof hostAndPortOf>): ApiError {
  return invalidRequest(`The host in '${path}' is denied by server.egress.deny. Send the image as a data: URL.`, {
    code: 'url_not_allowed',
    param: path,
    denial: {
      by: 'egress',
      reason: `${shortened(host)}: on the deny list`,
      action: 'pass on',
      resource: `host::${shortened(host)}:${port}`,
    },
  })
}
