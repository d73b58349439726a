import type { RegexLiteral } from './source-parts.ts'

const endSlashes = String.raw`\/+$`
const theOperators = "the operator's own text"

/** Expressions that take more than linear time and are kept, each with why no caller can make use of it. By file, then by the expression. */
const bounded: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'src/config/substitute.ts': { [String.raw`\$\{env\.([A-Z0-9_]+)(?:(:[=+]|[:+])([^}]*))?\}`]: theOperators },
  'src/config/tree.ts': { [String.raw`\$\{env\.[A-Z0-9_]+:?\+([^}]*)\}`]: theOperators },
  'src/config/redact.ts': {
    [String.raw`([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]*(?:@[^\s/?#@]*)*@`]: 'settings of the operator, and messages of providers cut to 4 kB',
    [String.raw`([?&][^=&#\s]*(?:key|token|password|secret|signature|sig|auth|credential)[^=&#\s]*=)[^&#\s"']+`]:
      'settings of the operator, and messages of providers cut to 4 kB',
  },
  'src/config/distributions/local-servers.ts': { [endSlashes]: theOperators },
  'src/config/distributions/starter.ts': { [endSlashes]: theOperators, ':=[^}]+\\}': 'texts of this program' },
  'src/auth/kubernetes.ts': { [endSlashes]: theOperators },
  'src/auth/github-token.ts': { [endSlashes]: theOperators },
  'src/auth/schema.ts': { [String.raw`^https?:\/\/[^\s/?#]+[^\s]*$`]: theOperators },
  'src/text/regex-syntax.ts': { [String.raw`^\{(\d*)(,?)(\d*)\}`]: 'sees 16 characters' },
  'src/quota/governance-limits.ts': { '0+$': 'the digits of an amount' },
  'src/storage/postgres-errors.ts': {
    [String.raw`^(ECONNREFUSED|ECONNRESET|ECONNABORTED|ENOTFOUND|EAI_\w+|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|ENOENT|EACCES|ERR_TLS\w*|\w*CERT\w*|DEPTH_ZERO\w+|UNABLE_TO_\w+|ERR_SSL\w*)$`]:
      'an error code of the system',
  },
  'src/cli/running-server.ts': { [endSlashes]: theOperators },
  'src/providers/inference/masking.ts': { '=+$': 'base64, which has two at most' },
  'src/providers/inference/llama-cpp/store/sources.ts': {
    [endSlashes]: theOperators,
    [String.raw`<a\s[^>]*href="([^"]+)"`]: 'the package index that the operator names, 10 MB at most',
  },
}

export function isBounded(path: string, { source }: RegexLiteral): boolean {
  return bounded[path]?.[source] !== undefined
}

/** Every entry, as `path` and expression. */
export const boundedRegexes = Object.entries(bounded).flatMap(([path, sources]) => Object.keys(sources).map((source) => ({ path, source })))
