import { invalidRequest } from '../errors.ts'

interface CallerUrlOptions {
  /** Where the caller named it, for messages, e.g. `the provider data's 'azure_api_base'`. */
  readonly source: string
  /** The error's code where it is not an acceptable URL. Default `invalid_url`. */
  readonly code?: string
}

/**
 * A URL that a caller chose. Deliberately no text: whatever is made of it goes to the egress function as what it is, and so past the guard; joined to
 * a string it is not a URL any more. Parsed once, here; what is judged and what is connected to is this one reading of it.
 */
export class CallerUrl {
  readonly #url: URL
  readonly source: string

  private constructor(url: URL, source: string) {
    this.#url = url
    this.source = source
  }

  /** Throws ApiError 400 unless it is an http(s) URL without credentials. */
  static parse(text: string, { source, code = 'invalid_url' }: CallerUrlOptions): CallerUrl {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '') {
      throw invalidRequest(`${capitalised(source)} must be an http:// or https:// URL.`, { code })
    }
    if (url.username !== '' || url.password !== '') {
      throw invalidRequest(`${capitalised(source)} must not carry a user name or password.`, { code })
    }
    url.hash = ''
    return new CallerUrl(url, source)
  }

  /** A copy. */
  get url(): URL {
    return new URL(this.#url)
  }

  /** The same host and query with another path: `complete` gets scheme, host and path. */
  withRoot(complete: (root: string) => string): CallerUrl {
    const { origin, pathname, search } = this.#url
    const next = new URL(complete(origin + pathname))
    if (next.origin !== origin) throw new TypeError('Completing a URL must not lead to another host.')
    next.search = search
    return new CallerUrl(next, this.source)
  }

  /** What follows the base: `path` begins with a slash, and may bring a query. */
  at(path: string): CallerUrl {
    const [below = '', query] = path.split('?', 2)
    const next = this.url
    let end = next.pathname.length
    while (next.pathname[end - 1] === '/') end -= 1
    next.pathname = next.pathname.slice(0, end) + below
    if (query) next.search = next.search ? `${next.search}&${query}` : query
    return new CallerUrl(next, this.source)
  }

  /** Where a redirect leads. Throws ApiError 400 as `parse` does. */
  redirectedTo(location: string): CallerUrl {
    const next = URL.canParse(location, this.#url) ? new URL(location, this.#url).href : location
    return CallerUrl.parse(next, { source: `the redirect of ${this.source.replace(/^the redirect of /, '')}` })
  }

  toString(): string {
    return '[URL of a caller]'
  }

  toJSON(): string {
    return this.toString()
  }
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}
