<?php
declare(strict_types=1);

namespace Coolify\Coold\Laravel\Facades;

use Coolify\Coold\Builds;
use Coolify\Coold\Client;
use Coolify\Coold\Host;
use Coolify\Coold\Testing\FakeBroker;
use Illuminate\Support\Facades\Facade;

/**
 * @method static Host host(string $hostId)
 * @method static Builds builds()
 * @method static bool isUp()
 * @method static array hosts()
 * @method static array fleet()
 * @method static array status()
 * @method static array revokedTokens()
 * @method static void revokeToken(string $jti)
 * @method static void restoreToken(string $jti)
 *
 * @see Client
 */
final class Coold extends Facade
{
    /** Puts a fake in the place of the broker, for the rest of a test. */
    public static function fake(): FakeBroker
    {
        $broker = new FakeBroker();
        self::swap($broker->client());
        return $broker;
    }

    protected static function getFacadeAccessor(): string
    {
        return Client::class;
    }
}
