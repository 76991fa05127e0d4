/** A bearer token, and when it is of no use any more, if that is known. */
export interface Token {
  value: string;
  expires?: Date;
}

/** Asks its source when there is no token yet, when the token's time is over, and after the server refused it. */
export class Credentials {
  readonly #source: () => Promise<Token>;
  #token: Promise<Token> | undefined;

  constructor(source: () => Promise<Token>) {
    this.#source = source;
  }

  /** The token to send now; may wait for a plugin. */
  async token(): Promise<string> {
    const asked = (this.#token ??= this.#source());
    try {
      const token = await asked;
      if (token.expires === undefined || token.expires.getTime() > Date.now()) return token.value;
    } catch (error) {
      if (this.#token === asked) this.#token = undefined;
      throw error;
    }
    if (this.#token === asked) this.#token = this.#source();
    return (await (this.#token ?? this.#source())).value;
  }

  /** The server did not take the token: the next {@link token} asks the source again. */
  refused(): void {
    this.#token = undefined;
  }
}
