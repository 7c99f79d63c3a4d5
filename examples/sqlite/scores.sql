-- Ranks the players of a tournament; the games are read from stdin as PLAYER,OPPONENT,POINTS.
CREATE TABLE game (player TEXT, opponent TEXT, points REAL);
.mode csv
.import "|cat" game
.mode column
.headers on
WITH total AS (
    SELECT player, count(*) AS games, sum(points) AS points FROM game GROUP BY player
)
SELECT rank() OVER (ORDER BY total.points DESC) AS rank,
       total.player,
       total.games,
       total.points,
       (SELECT sum(other.points) FROM game JOIN total AS other ON other.player = game.opponent
        WHERE game.player = total.player) AS opponents
FROM total
ORDER BY rank, opponents DESC, total.player;
