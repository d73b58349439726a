import type { Call } from '../../call.ts'
import { invalidRequest, type ApiError } from '../../errors.ts'
import { CallerUrl, EgressError, type NetworkOptions } from '../../egress/egress.ts'
import { fetchDocument } from '../../egress/fetch-document.ts'
import { type ImageUrl, imageUrlsIn } from '../../schemas/image-urls.ts'
import type { ProviderDeps } from '../provider.ts'
import type { OpenAICompatibleOptions } from './openai-compatible-options.ts'

/** What is fetched for one request. */
const maxFetched = { images: 8, bytes: 20 * 1024 * 1024, milliseconds: 30_000 }

/** The beginnings, in hex, of files of the types that models take. What the host says it is does not count. */
const signatures: Readonly<Record<string, RegExp>> = {
  'image/png': /^89504e470d0a1a0a/,
  'image/jpeg': /^ffd8ff/,
  'image/gif': /^47494638(?:37|39)61/,
  'image/webp': /^52494646.{8}57454250/,
}

/**
 * For upstreams that take images as `data:` URLs only: fetches the remote ones of a chat request, as URLs that a caller chose (egress/fetch-document.ts),
 * and puts them in. An `editRequest`; costs nothing where there are none. Throws ApiError 400 where one cannot be had.
 */
export function inlineRemoteImages(
  { egress }: Pick<ProviderDeps, 'egress'>,
  { proxy }: NetworkOptions,
): NonNullable<OpenAICompatibleOptions['editRequest']> {
  const network: NetworkOptions = { ...(proxy !== undefined && { proxy }) }
  return (request, operation, call) => {
    if (operation !== 'chat' || remoteImages(request.body['messages']).length === 0) return undefined
    // The caller's own messages, not what the validation made of them.
    const { messages } = JSON.parse(new TextDecoder().decode(request.bytes)) as { messages: unknown }
    return fetchAll(remoteImages(messages), { egress, network, call }).then(() => ({ messages }))
  }
}

interface Fetching extends Pick<ProviderDeps, 'egress'> {
  readonly network: NetworkOptions
  readonly call: Call
}

async function fetchAll(images: readonly ImageUrl[], fetching: Fetching): Promise<void> {
  if (images.length > maxFetched.images) {
    throw imageNotFetched(
      images[maxFetched.images]!.path,
      `this provider accepts images only inside the request, and at most ${maxFetched.images} are fetched for a request`,
    )
  }
  const until = performance.now() + maxFetched.milliseconds
  let left = maxFetched.bytes
  // One after the other, so that all together keep to the limit.
  for (const { url, path, replace } of images) {
    const bytes = await fetchOne(url, path, { ...fetching, maxBytes: left, timeout: Math.max(1, until - performance.now()) })
    left -= bytes.length
    replace(`data:${typeOf(bytes) ?? wrongType(path)};base64,${Buffer.from(bytes).toString('base64')}`)
  }
}

async function fetchOne(
  url: string,
  path: string,
  { egress, call, ...limits }: Fetching & { readonly maxBytes: number; readonly timeout: number },
): Promise<Uint8Array> {
  try {
    const { bytes } = await fetchDocument(egress, CallerUrl.parse(url, { source: `'${path}'` }), {
      ...limits,
      signal: call.signal,
      headers: { accept: Object.keys(signatures).join(', ') },
      checkHead(status) {
        if (status !== 200) throw imageNotFetched(path, `its host returned status ${status}`)
      },
    })
    return bytes
  } catch (error) {
    throw error instanceof EgressError ? imageNotFetched(path, error.message, error) : error
  }
}

/** Those of a request's messages that are not `data:` URLs. Throws ApiError 400 where an image has no URL. */
function remoteImages(messages: unknown): ImageUrl[] {
  return imageUrlsIn(messages, refuseImageWithoutUrl).filter(({ url }) => /^https?:/i.test(url))
}

function refuseImageWithoutUrl(param: string): never {
  throw invalidRequest(`Invalid type for '${param}': expected the image's URL as a string.`, { code: 'invalid_type', param })
}

function typeOf(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 16)).toString('hex')
  return Object.keys(signatures).find((type) => signatures[type]?.test(start))
}

function wrongType(path: string): never {
  throw imageNotFetched(path, 'its type is not supported (PNG, JPEG, GIF or WebP)')
}

function imageNotFetched(path: string, why: string, cause?: unknown): ApiError {
  return invalidRequest(`The image at ${path} could not be fetched: ${why}.`, { code: 'image_not_fetched', param: path, cause })
}
