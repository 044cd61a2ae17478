<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Input;

/** Passed on to the registry, kept nowhere. */
final readonly class RegistryAuth
{
    /**
     * @param string $username The user, or what the registry calls the name of a token.
     * @param string $password The password or token.
     */
    public function __construct(
        public string $username,
        public string $password,
    ) {
    }

    /** @return array<string, mixed> what is given, as JSON has it */
    public function fields(): array
    {
        return array_filter([
            'username' => $this->username,
            'password' => $this->password,
        ], static fn (mixed $value): bool => $value !== null);
    }
}
