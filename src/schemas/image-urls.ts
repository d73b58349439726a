/** One image URL of a chat request's messages. */
export interface ImageUrl {
  readonly url: string
  /** E.g. `messages[0].content[1].image_url.url`. */
  readonly path: string
  /** Puts another URL in its place. */
  readonly replace: (url: string) => void
}

interface ImagePart {
  type?: unknown
  image_url?: unknown
}

/**
 * The image URLs of `messages`, in OpenAI's form (`image_url: {url}`) and in Mistral's (`image_url: "https://…"`). Images with neither are left out;
 * `onMissing` is called with the path where the URL is missing.
 */
export function imageUrlsIn(messages: unknown, onMissing?: (path: string) => void): readonly ImageUrl[] {
  if (!Array.isArray(messages)) return none
  let found: ImageUrl[] | undefined
  for (const [at, message] of (messages as ({ content?: unknown } | null)[]).entries()) {
    const content = message?.content
    if (!Array.isArray(content)) continue
    for (const [index, part] of (content as (ImagePart | null)[]).entries()) {
      if (!part || (part.image_url === undefined && part.type !== 'image_url')) continue
      const image = imageUrlOf(part, `messages[${at}].content[${index}].image_url`)
      if (typeof image !== 'string') (found ??= []).push(image)
      else if (part.type === 'image_url') onMissing?.(image)
    }
  }
  return found ?? none
}

const none: readonly ImageUrl[] = []

/** A text is the path where a URL is missing. */
function imageUrlOf(part: ImagePart, path: string): ImageUrl | string {
  const { image_url: image } = part
  if (typeof image === 'string') return { url: image, path, replace: (url: string) => void (part.image_url = url) }
  if (typeof image !== 'object' || image === null) return path
  const holder = image as { url?: unknown }
  if (typeof holder.url !== 'string') return `${path}.url`
  return { url: holder.url, path: `${path}.url`, replace: (url: string) => void (holder.url = url) }
}
