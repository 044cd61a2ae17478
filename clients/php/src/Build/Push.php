<?php
declare(strict_types=1);

namespace Coolify\Coold\Build;

/** The image goes to the registry that its name leads to. */
final readonly class Push
{
    /** @param string|null $username null: the registry takes it from anybody */
    public function __construct(
        public ?string $username = null,
        #[\SensitiveParameter] public ?string $password = null,
    ) {
    }

    /** As JSON has it. */
    public function fields(): object
    {
        return $this->username === null
            ? (object) []
            : (object) ['auth' => ['username' => $this->username, 'password' => (string) $this->password]];
    }
}
